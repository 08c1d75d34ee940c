/* A page is printed as it is read on paper: in the light colours, with everything open that was folded. */
(() => {
    "use strict";
    const root = document.documentElement;
    let restore = () => {};
    addEventListener("beforeprint", () => {
        const {theme} = root.dataset, folded = [...document.querySelectorAll("article details:not([open])")];
        root.dataset.theme = "light";
        for (const node of folded) node.open = true;
        restore = () => {
            root.dataset.theme = theme;
            for (const node of folded) node.open = false;
        };
    });
    addEventListener("afterprint", () => restore());
})();
