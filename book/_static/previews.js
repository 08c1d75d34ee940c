/* A preview beside a link to a claim, a theorem, an equation, an exercise, a figure, a term or a reference.
 *
 * It opens under a resting pointer and at keyboard focus, never by touch. It stays while pointer or focus rest on the
 * link or on the preview, and Escape closes it. The contents come from one script for each page that is led to
 * (mixtheory/reading/previews.py), loaded when first wanted; a script, so that it also works from a file.
 */
(() => {
    "use strict";
    const WAIT = {open: 250, close: 300};                                       // milliseconds
    const root = new URL(document.documentElement.dataset.content_root || "./", document.baseURI);
    const pages = new Map();                                                    // name -> promise of its previews
    const arrived = new Map();                                                  // name -> what to call with them
    let card, link, timer;

    window.mtPreviews = (name, found) => arrived.get(name)?.(found);

    function load(name) {
        if (!pages.has(name)) pages.set(name, new Promise(resolve => {
            arrived.set(name, resolve);
            const script = document.createElement("script");
            script.src = new URL(`_static/previews/${name.replace(/\.html$/, "")}.js`, root);
            script.onerror = () => resolve({});
            document.head.append(script);
        }));
        return pages.get(name);
    }

    /** Page and id that a link leads to, or null where that is no place of this book. */
    function target(anchor) {
        const url = new URL(anchor.getAttribute("href"), document.baseURI);
        const name = url.pathname.slice(root.pathname.length);
        const ours = url.origin === root.origin && url.pathname.startsWith(root.pathname) && name.endsWith(".html");
        return ours && url.hash.length > 1 ? [name, decodeURIComponent(url.hash.slice(1))] : null;
    }

    const previewed = node => node.closest?.("article a[href*='#']:not(.headerlink)");

    function place() {
        const edge = 8, at = link.getClientRects()[0] ?? link.getBoundingClientRect();
        const wide = document.documentElement.clientWidth, high = document.documentElement.clientHeight;
        const below = at.bottom + edge + card.offsetHeight < high || at.top < high - at.bottom;
        const left = Math.max(edge, Math.min(at.left, wide - card.offsetWidth - edge));
        card.style.maxHeight = `${Math.max(120, (below ? high - at.bottom : at.top) - 2 * edge)}px`;
        const top = below ? at.bottom + 2 : at.top - card.offsetHeight - 2;
        card.style.left = `${left + window.scrollX}px`;
        card.style.top = `${top + window.scrollY}px`;
    }

    function close() {
        clearTimeout(timer);
        card?.remove();
        if (link) {
            const others = (link.getAttribute("aria-describedby") ?? "").split(" ").filter(id => id && id !== "mt-preview");
            if (others.length) link.setAttribute("aria-describedby", others.join(" "));
            else link.removeAttribute("aria-describedby");
        }
        card = link = undefined;
    }

    async function open(anchor) {
        if (anchor === link) return;
        close();
        const place_ = target(anchor);
        if (!place_) return;
        link = anchor;
        const text = (await load(place_[0]))[place_[1]];
        if (!text || link !== anchor) return;
        card = document.createElement("div");
        card.id = "mt-preview";
        card.className = "bd-article";
        card.setAttribute("role", "tooltip");
        card.innerHTML = text;
        card.style.visibility = "hidden";
        document.body.append(card);
        anchor.setAttribute("aria-describedby", [anchor.getAttribute("aria-describedby"), card.id].filter(Boolean).join(" "));
        place();
        card.style.visibility = "";
    }

    function later(action, wait) {
        clearTimeout(timer);
        timer = setTimeout(action, wait);
    }

    const leave = () => later(() => {
        if (!(link?.matches(":hover, :focus-visible") || card?.matches(":hover"))) close();
    }, WAIT.close);

    document.addEventListener("pointerover", event => {
        if (event.pointerType === "touch") return;
        const anchor = previewed(event.target);
        if (anchor) later(() => open(anchor), anchor === link ? 0 : WAIT.open);
        else if (card?.contains(event.target)) clearTimeout(timer);
        else if (link) leave();
        else clearTimeout(timer);
    });
    document.documentElement.addEventListener("pointerleave", leave);
    document.addEventListener("focusin", event => {
        const anchor = previewed(event.target);
        if (anchor?.matches(":focus-visible")) later(() => open(anchor), WAIT.open);
        else if (link) leave();
    });
    document.addEventListener("focusout", leave);
    document.addEventListener("keydown", event => {
        if (event.key === "Escape" && (link || timer)) close();
    });
    window.addEventListener("resize", close);
})();
