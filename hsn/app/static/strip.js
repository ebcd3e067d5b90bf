// The lists below the image: images, and others that modules add.
import { byId, fill, make } from "./dom.js";

export class Strip {
  constructor() {
    this.tabs = new Map();
    this.current = null;
  }

  /** Add a list: `show()` returns its elements. */
  add(name, title, show) {
    const tab = make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "strip",
      "aria-selected": "false", tabindex: "-1", click: () => this.open(name),
      keydown: (event) => this.#turn(event, name) }, title);
    this.tabs.set(name, { tab, show });
    byId("tabs").append(tab);
    if (!this.current) this.open(name);
  }

  open(name) {
    this.current = name;
    for (const [other, { tab }] of this.tabs) {
      tab.setAttribute("aria-selected", String(other === name));
      tab.tabIndex = other === name ? 0 : -1;
    }
    byId("strip").setAttribute("aria-labelledby", `tab-${name}`);
    fill(byId("strip"), make("p", { class: "note" }, "Loading…"));
    this.refresh(name);
  }

  /** Draw a list again if it is open. */
  async refresh(name) {
    if (name !== this.current) return;
    const elements = await this.tabs.get(name).show();
    if (name === this.current) fill(byId("strip"), ...elements);
  }

  #turn(event, name) {
    const names = [...this.tabs.keys()];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = names[(names.indexOf(name) + step + names.length) % names.length];
    this.open(next);
    this.tabs.get(next).tab.focus();
  }
}

/** Return a button for each image, with its thumbnail. */
export function imageButtons(images, current, open) {
  return images.map((image) => {
    const counts = Object.values(image.counts).reduce((sum, n) => sum + n, 0);
    const role = image.role === "learn" ? "" : ` · ${image.role}`;
    return make("button", { type: "button", class: "thumb", "aria-current": image.id === current ? "true" : null,
      "aria-pressed": String(image.id === current), title: image.name, click: () => open(image.id) },
    make("img", { src: `api/images/${encodeURIComponent(image.id)}/thumbnail`, alt: "", loading: "lazy" }),
    make("span", {}, image.name), make("span", {}, `${counts || "no"} mark${counts === 1 ? "" : "s"}${role}`));
  });
}
