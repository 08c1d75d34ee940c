// What a reader does with a page: copy a formula as TeX, scroll what is wider than the page from the keyboard.
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

const WIDE = ".math, .mt-statement, .mt-eq, .mt-table, .mt-figure, .pst-scrollable-table-container, .proof > section";

/** What scrolls can be reached with the tabulator, and nothing else can. */
function reach() {
    const scrolls = node => node.scrollWidth > node.clientWidth && getComputedStyle(node).overflowX === "auto";
    const shown = [...document.querySelectorAll(WIDE)].filter(node => !node.closest("details:not([open])"));
    const known = shown.map(node => [node, scrolls(node)]); // what is folded away would be laid out to be measured
    for (const [node, wide] of known) {                     // not in between: each change would lay out the page anew
        if (wide === node.hasAttribute("tabindex")) continue;
        if (wide) node.tabIndex = 0;
        else node.removeAttribute("tabindex");
    }
}

document.addEventListener("DOMContentLoaded", () => {
    new ResizeObserver(reach).observe(document.querySelector("article") ?? document.body);
    document.addEventListener("toggle", reach, true);       // a fold was opened
});
