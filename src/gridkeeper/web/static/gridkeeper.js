// What pages gain where scripts run: a plot that is pointed at becomes one that answers. All else works without.
"use strict";
(() => {
  const charts = document.currentScript.dataset.charts;
  let library;
  const loaded = () => (library ??= import(charts).then(() => window.vegaEmbed));
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    return style.getPropertyValue("--ink").trim();
  };
  async function awaken(figure) {
    if (figure.dataset.awake) return;
    figure.dataset.awake = "yes";
    try {
      const [embed, spec] = await Promise.all([
        loaded(),
        fetch(figure.dataset.spec, { credentials: "same-origin" }).then((answer) => {
          if (!answer.ok) throw new Error(answer.statusText);
          return answer.json();
        }),
      ]);
      const place = document.createElement("div");
      const text = JSON.stringify(spec).replaceAll(spec.usermeta?.ink ?? "#1c2733", colours());
      await embed(place, JSON.parse(text), { actions: false, ast: true, defaultStyle: false, renderer: "svg", tooltip: { disableDefaultStyle: true } });
      place.setAttribute("aria-label", figure.querySelector("img").alt);
      figure.querySelector("picture").replaceWith(place);
    } catch (error) {
      console.warn("the plot stays a picture:", error);
    }
  }
  for (const figure of document.querySelectorAll("figure.plot[data-spec]")) {
    figure.addEventListener("pointerenter", () => awaken(figure), { once: true });
    figure.addEventListener("focusin", () => awaken(figure), { once: true });
  }
})();
