// Makes elements. Text goes in as text only, never as HTML.

/** Make an element: `make("button", {type: "button"}, "Train", child)`; functions become listeners. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Replace the content of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

/** Replace the content of an element that changes often: open details stay open, and a summary keeps the focus. */
export function refill(element, ...children) {
  const details = () => [...element.querySelectorAll("details")];
  const title = (each) => each.querySelector("summary").textContent;
  const open = details().filter((each) => each.open).map(title);
  const focused = details().find((each) => each.querySelector("summary") === document.activeElement);
  const name = focused && title(focused);
  fill(element, ...children);
  for (const each of details()) {
    each.open ||= open.includes(title(each));
    if (title(each) === name) each.querySelector("summary").focus();
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element. */
export function drawn(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Open the dialog of the page with a title and content; returns a function that closes it. */
export function openDialog(title, ...children) {
  const dialog = byId("dialog");
  byId("dialog-title").textContent = title;
  fill(byId("dialog-body"), ...children);
  if (!dialog.open) dialog.showModal();
  return () => dialog.close();
}

/** Return a color (red, green, blue) with an opacity, for CSS. */
export const css = ([r, g, b], opacity = 1) => `rgba(${r},${g},${b},${opacity})`;

/** Return a time in seconds as "1:05". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Return a random UUID. Browsers offer theirs on secure pages only, and a notebook may come from another machine by http. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
