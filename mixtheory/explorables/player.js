/* The player of explorables: the same small module stands behind every one of them.
 *
 * A figure carries its data as JSON, computed and tested in Python:
 *   controls  [{name, texts, said}]              texts: what each value is called; said: the same under the still
 *   layers    [{name, kind, map, x, y}]          x, y: tables of coordinates; map [a, b, c, d]: pixels a x + b, c y + d
 *                                                and decimals, to which x and y were rounded
 *   readouts  [{name, texts}]                    texts: a table of texts
 * A table is {strides, values}: its entry for a state is values[sum of stride * index over the controls].
 * Nothing is computed here but places in tables and pixels.
 */

const STROKE = {line: Infinity, area: Infinity, dots: 1, segments: 2};      // points in one stroke

/** The entry of a table at the indices of the controls. */
function look(table, index) {
    return table.values[table.strides.reduce((place, stride, i) => place + stride * index[i], 0)];
}

/** The data of an SVG path: strokes through mapped points, closed for an area; a dot is a stroke of no length. */
function trace(layer, index) {
    const x = look(layer.x, index), y = look(layer.y, index), [a, b, c, d] = layer.map;
    const points = x.map((u, i) =>
        `${i === 0 || i % STROKE[layer.kind] === 0 ? 'M' : 'L'}${(a * u + b).toFixed(2)} ${(c * y[i] + d).toFixed(2)}` +
        (layer.kind === 'dots' ? 'h0' : ''));
    return points.join('') + (layer.kind === 'area' && points.length ? 'Z' : '');
}

/** Show the controls of one figure and answer to them. */
function play(figure) {
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const inputs = data.controls.map(({name}) => [...figure.querySelectorAll(`[data-control="${name}"]`)]);
    const chosen = group => Number((group.find(input => input.checked) ?? group[0]).value);

    function write(target, text) {                       // only what changed: a screen reader would read it out again
        const node = figure.querySelector(target);
        if (node && node.textContent !== text) node.textContent = text;
    }

    function show() {
        const index = inputs.map(chosen), words = data.controls.map(({texts}, i) => texts[index[i]]);
        for (const layer of data.layers)
            figure.querySelector(`[data-layer="${layer.name}"]`).setAttribute('d', trace(layer, index));
        for (const {name, texts} of data.readouts) write(`[data-readout="${name}"]`, look(texts, index));
        data.controls.forEach(({name}, i) => {
            write(`[data-value="${name}"]`, words[i]);
            if (inputs[i][0].type === 'range') inputs[i][0].setAttribute('aria-valuetext', words[i]);
        });
        write('[data-at]', data.controls.map(({said}, i) => said[index[i]]).join('; '));
    }

    for (const input of inputs.flat()) input.addEventListener('input', show);
    figure.querySelector('.mt-explorable-controls').hidden = false;
    figure.dataset.playing = '';
    show();
}

for (const figure of document.querySelectorAll('figure.mt-explorable:not([data-playing])')) play(figure);
