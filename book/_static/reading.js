// What a reader does with a page: copy a formula as TeX, scroll what is wider than the page from the keyboard, follow a link.
"use strict";

/** The selection as it should be pasted: whole formulas, each as its TeX. */
function selected() {
    const selection = getSelection();
    if (selection.isCollapsed) return null;
    const formula = node => (node.closest ? node : node.parentElement)?.closest("[data-tex]");
    const range = selection.getRangeAt(0).cloneRange();
    const first = formula(range.startContainer), last = formula(range.endContainer);
    if (first) range.setStartBefore(first);
    if (last) range.setEndAfter(last);
    const copy = document.createElement("div");
    copy.append(range.cloneContents());
    const formulas = copy.querySelectorAll("[data-tex]");
    for (const each of formulas) each.replaceChildren(each.dataset.tex);
    return formulas.length ? copy : null;
}

document.addEventListener("copy", event => {
    const copy = selected();
    if (!copy) return;
    copy.style.cssText = "position: fixed; left: -99999px; white-space: normal";
    document.body.append(copy);                             // its text has lines only while it is part of the page
    event.clipboardData.setData("text/plain", copy.innerText);
    copy.remove();
    event.clipboardData.setData("text/html", copy.innerHTML);
    event.preventDefault();
});

const WIDE = "pre, .math, .mt-statement, .mt-eq, .mt-table, .mt-figure, .pst-scrollable-table-container, .proof > section";
const SLICE = 8, PATIENCE = 6000;                           // milliseconds: of measuring at a time; before it begins
const idle = window.requestIdleCallback ?? setTimeout;
const folded = node => node.closest("details:not([open])"); // it would be laid out to be measured
const scrolls = node => node.scrollWidth > node.clientWidth && getComputedStyle(node).overflowX === "auto";
let waiting = [], timer;

/** What scrolls can be reached with the tabulator, and nothing else can. */
function reach(part) {
    if (!waiting.length) timer = setTimeout(idle, PATIENCE, () => measure(SLICE));
    waiting.push(...part.querySelectorAll(WIDE));
}

/** Most of it is far away and not laid out yet: a few at a time, or all at once when somebody reaches for the keys. */
function measure(limit) {
    const known = [], start = performance.now();
    while (waiting.length && performance.now() - start < limit) {
        const node = waiting.shift();
        if (!folded(node)) known.push([node, scrolls(node)]);
    }
    for (const [node, wide] of known) {                     // not in between: each change would lay out the page anew
        if (wide === (node.getAttribute("tabindex") === "0")) continue;
        if (wide) node.tabIndex = 0;
        else node.removeAttribute("tabindex");
    }
    clearTimeout(timer);
    if (waiting.length) idle(() => measure(SLICE));
}

document.addEventListener("DOMContentLoaded", () => {
    const article = document.querySelector("article") ?? document.body;
    let width = 0;
    new ResizeObserver(([{contentRect}]) => {               // its height changes with each part that is laid out
        if (contentRect.width === width) return;
        width = contentRect.width;
        reach(article);
    }).observe(article);
    document.addEventListener("toggle", event => reach(event.target), true);        // a fold was opened
    document.addEventListener("keydown", () => measure(Infinity), true);
});

const ARRIVAL = 1000;                                       // milliseconds

/** The place that a link leads to stays in view while what is around it is laid out, until somebody moves. */
function arrive() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const start = performance.now(), moved = new AbortController(), {signal} = moved;
    for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"])
        addEventListener(kind, () => moved.abort(), {signal, passive: true});
    const hold = () => {
        if (!target || signal.aborted || performance.now() - start > ARRIVAL) return moved.abort();
        target.scrollIntoView({behavior: "instant"});
        requestAnimationFrame(hold);
    };
    hold();
}

addEventListener("hashchange", arrive);
addEventListener("DOMContentLoaded", () => {                // whoever comes back is where they were
    if (location.hash && performance.getEntriesByType("navigation")[0]?.type === "navigate") arrive();
});
