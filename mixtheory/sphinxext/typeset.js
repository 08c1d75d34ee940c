// TeX to MathML: [[tex, display], ...] on standard input, [{mathml} or {error}, ...] on standard output.
//
// MathJax reads the TeX and knows its spaces, but leaves much to a renderer that browsers do not have. What is
// written here is MathML Core: every space of TeX explicit, alphabets as Unicode letters, tables aligned by CSS.
"use strict";
const {readFileSync} = require("fs");

const SPACE = {thinmathspace: ".167em", mediummathspace: ".222em", thickmathspace: ".278em"};
const ACCENT = {"^": "\u02c6", "~": "\u02dc"};                  // these stand at the height of an accent
const STRETCHES = /[()[\]{}|\u2016\u2223\u2225\u27e8\u27e9\u2308-\u230b\u2190-\u21ff\u23b4\u23b5\u23dc-\u23df^~\u02c6\u02dc\u00af\u203e\u2015\u2212_/]/;
// First capital, first small letter, first digit of the alphabets; letters that Unicode had before.
const ALPHABET = {
    "bold": [0x1d400, 0x1d41a, 0x1d7ce, 0x1d6a8, 0x1d6c2], "italic": [0x1d434, 0x1d44e, 0, 0x1d6e2, 0x1d6fc],
    "bold-italic": [0x1d468, 0x1d482, 0, 0x1d71c, 0x1d736], "script": [0x1d49c, 0x1d4b6],
    "-tex-calligraphic": [0x1d49c, 0x1d4b6], "double-struck": [0x1d538, 0x1d552, 0x1d7d8],
    "bold-script": [0x1d4d0, 0x1d4ea], "-tex-bold-calligraphic": [0x1d4d0, 0x1d4ea],
    "fraktur": [0x1d504, 0x1d51e], "sans-serif": [0x1d5a0, 0x1d5ba, 0x1d7e2], "monospace": [0x1d670, 0x1d68a, 0x1d7f6],
};
const BEFORE = {
    0x1d455: "ℎ", 0x1d49d: "ℬ", 0x1d4a0: "ℰ", 0x1d4a1: "ℱ", 0x1d4a3: "ℋ", 0x1d4a4: "ℐ", 0x1d4a7: "ℒ", 0x1d4a8: "ℳ",
    0x1d4ad: "ℛ", 0x1d4ba: "ℯ", 0x1d4bc: "ℊ", 0x1d4c4: "ℴ", 0x1d53a: "ℂ", 0x1d53f: "ℍ", 0x1d545: "ℕ", 0x1d547: "ℙ",
    0x1d548: "ℚ", 0x1d549: "ℝ", 0x1d551: "ℤ", 0x1d506: "ℭ", 0x1d50b: "ℌ", 0x1d50c: "ℑ", 0x1d515: "ℜ", 0x1d51d: "ℨ",
};
const RANGES = [[0x41, 26], [0x61, 26], [0x30, 10], [0x391, 25], [0x3b1, 25]];
const KEPT = ["displaystyle", "scriptlevel", "linethickness", "width", "height", "depth", "voffset", "minsize",
              "maxsize", "movablelimits", "largeop", "symmetric", "lspace"];
const REFUSED = ["menclose", "mlabeledtr", "maction", "mmultiscripts", "ms", "mglyph", "merror", "XML"];

const escape = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function letter(char, variant) {
    const code = char.codePointAt(0);
    const k = RANGES.findIndex(([first, count]) => code >= first && code < first + count);
    const first = k < 0 ? 0 : ALPHABET[variant]?.[k];
    if (!first) return char;
    const mapped = first + code - RANGES[k][0];
    return BEFORE[mapped] ?? String.fromCodePoint(mapped);
}

function attributes(node) {
    const found = {};
    for (const name of KEPT) {
        const value = node.attributes.getExplicit(name);
        if (value !== undefined && !(name === "lspace" && node.kind !== "mpadded")) found[name] = value;
    }
    const colour = node.attributes.getExplicit("mathcolor");
    if (colour) found.style = `color:${colour}`;
    return found;
}

function write(tag, found, content) {
    const listed = Object.entries(found).map(([name, value]) => ` ${name}="${escape(String(value)).replace(/"/g, "&quot;")}"`);
    return `<${tag}${listed.join("")}>${content}</${tag}>`;
}

function token(node, space) {
    const found = attributes(node);
    const variant = node.attributes.getExplicit("data-mjx-variant") ?? node.getProperty("variantForm")
        ?? node.attributes.getExplicit("mathvariant");
    let text = node.childNodes.map(child => child.getText?.() ?? "").join("");
    if (variant && variant !== "normal") text = [...text].map(char => letter(char, variant)).join("");
    if (node.kind === "mi" && variant === "normal" && [...text].length === 1) found.mathvariant = "normal";
    if (node.kind === "mo") {
        const explicit = name => node.attributes.isSet(name) ? node.attributes.getExplicit(name) : undefined;
        found.lspace = explicit("lspace") ?? (space || "0");
        found.rspace = explicit("rspace") ?? "0";
        if (STRETCHES.test(text)) found.stretchy = Boolean(node.attributes.get("stretchy")) && !fence(node);
        if (!found.stretchy && isAccent(node)) text = ACCENT[text] ?? text;
    }
    return write(node.kind, found, escape(text));
}

/** Whether this is a fence around what is no higher than a line. */
const fence = node => Boolean(node.attributes.get("fence")) && !node.attributes.isSet("minsize") && !tall(node.parent);

const isAccent = node => node.isEmbellished && Boolean(node.coreMO().attributes.get("accent"));

function table(node) {
    const words = name => String(node.attributes.get(name)).split(/\s+/);
    const at = (list, k) => list[Math.min(k, list.length - 1)];
    const aligns = words("columnalign"), columns = words("columnspacing"), rows = words("rowspacing");
    for (const lines of ["columnlines", "rowlines", "frame"])
        if (words(lines).some(line => line !== "none")) throw Error(`a table with ${lines} has no MathML that browsers draw`);
    const body = node.childNodes.map((row, i) => write("mtr", {}, row.childNodes.map((cell, j) => {
        if (row.kind !== "mtr") throw Error("a tag inside a formula: number the equation by its label");
        const half = (list, k, edge) => edge ? "0" : `calc(${at(list, k)}/2)`;
        const style = [`text-align:${cell.attributes.getExplicit("columnalign") ?? at(aligns, j)}`, "padding:" + [
            half(rows, i - 1, i === 0), half(columns, j, j === row.childNodes.length - 1),
            half(rows, i, i === node.childNodes.length - 1), half(columns, j - 1, j === 0)].join(" ")].join(";");
        return write("mtd", {style}, children(cell));
    }).join(""))).join("");
    return write("mtable", attributes(node), body);
}

/** Whether something stands higher than a line; around what does not, a fence keeps its size, as in TeX. */
function tall(node) {
    if (node.kind === "mover" && isAccent(node.childNodes[1])) return tall(node.childNodes[0]);
    if (["mfrac", "mtable", "mroot", "munder", "mover", "munderover"].includes(node.kind)) return true;
    if (node.kind === "mo")
        return node.attributes.isSet("minsize") || node.attributes.get("largeop") && node.attributes.get("displaystyle");
    return !node.isToken && node.childNodes.some(tall);
}

/** A child of a row stands after the space that TeX puts there; an operator carries it itself. */
function element(node) {
    if (node.isInferred) return children(node);
    const space = SPACE[node.texSpacing()];
    if (node.kind === "mo") return token(node, space);
    return (space && node.kind !== "mspace" ? `<mspace width="${space}"></mspace>` : "") + bare(node);
}

const children = node => node.childNodes.map(element).join("");

/** A child of a fraction or a script: one element, no space before it. */
function single(node) {
    if (!node.isInferred && !["TeXAtom", "mrow"].includes(node.kind)) return bare(node);
    return node.childNodes.length === 1 ? single(node.childNodes[0]) : write("mrow", {}, children(node));
}

function bare(node) {
    if (REFUSED.includes(node.kind)) throw Error(`<${node.kind}> has no MathML that browsers draw`);
    if (node.isToken) return token(node);
    if (node.kind === "mtable") return table(node);
    const found = attributes(node);
    if (["mfrac", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"].includes(node.kind)) {
        if (node.kind === "mover" && isAccent(node.childNodes[1])) found.accent = true;
        return write(node.kind, found, node.childNodes.map(single).join(""));
    }
    return write(node.kind === "TeXAtom" ? "mrow" : node.kind, found, children(node));
}

const path = process.argv[2];
require(`${path}/node-main.js`).init({
    loader: {load: ["input/tex", "adaptors/liteDOM"]},
    startup: {typeset: false},
    tex: {packages: {"[-]": ["noundefined", "noerrors"]}, formatError: (_, error) => { throw error; }},
}).then(async ({_, startup}) => {
    const {STATE} = _.core.MathItem;
    const convert = async (tex, display) => {
        const read = () => startup.document.convert(tex, {display, end: STATE.CONVERT});
        const root = await _.mathjax.mathjax.handleRetriesFor(read);      // it may want to load an extension first
        root.setTeXclass(null);
        return `<math${display ? ' display="block"' : ""}>${children(root)}</math>`;
    };
    const results = [];
    for (const [tex, display] of JSON.parse(readFileSync(0, "utf8")))
        results.push(await convert(tex, display).then(mathml => ({mathml}), ({message}) => ({error: message})));
    process.stdout.write(JSON.stringify(results));
}).catch(error => {
    console.error(error);
    process.exitCode = 1;
});
