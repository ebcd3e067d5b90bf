// Keys of the page. Fields and buttons keep their own keys.

const STEP_PX = 60;

/** Listen to keys; `actions` maps a key to a function. `where`: the page, or an element. */
export function listenToKeys(actions, viewer, where = globalThis) {
  where.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const place = event.target;
    if (["INPUT", "SELECT", "TEXTAREA"].includes(place.tagName) && place.type !== "range" && place.type !== "checkbox") return;
    if (["BUTTON", "SUMMARY", "A"].includes(place.tagName) && ["Enter", " "].includes(event.key)) return;
    const arrows = place.type === "range" || place.getAttribute("role") === "tab";
    const action = (event.shiftKey && actions[`Shift-${event.key.length === 1 ? event.key.toUpperCase() : event.key}`])
      || actions[event.key] || actions[event.key.toUpperCase()];
    const move = arrows ? null : moves(event, viewer);
    if (!action && !move) return;
    event.preventDefault();
    (action ?? move)();
  });
  where.addEventListener("keyup", (event) => {
    if (event.key === " ") actions.spaceReleased?.();
  });
}

function moves(event, viewer) {
  const step = event.shiftKey ? 10 : STEP_PX;
  return {
    ArrowLeft: () => viewer.move(-step, 0), ArrowRight: () => viewer.move(step, 0),
    ArrowUp: () => viewer.move(0, -step), ArrowDown: () => viewer.move(0, step),
    "+": () => viewer.zoom(0.5), "=": () => viewer.zoom(0.5), "-": () => viewer.zoom(2), "_": () => viewer.zoom(2),
  }[event.key];
}

export const KEYS = [
  ["1 to 9, 0", "class; erase"], ["C B G V", "click, brush, polygon, select"], ["R I", "complete region; ignored region"],
  [", .", "narrower, wider brush"], ["arrows, + -", "move, zoom; with Shift a little"], ["Enter", "click at the crosshair; Shift+Enter closes a polygon"],
  ["Z; Y", "undo; redo"], ["Alt+click, Del", "remove"], ["N P", "next, previous suggested place"],
  ["Page Up, Page Down", "images"], ["O; Space held", "overlay off; hidden while held"], ["U", "uncertainty"],
  ["L", "update the instant overlay once"], ["T E", "train; export"], ["[ ]", "other net"], ["K", "keep the found object under the pointer, or at the crosshair"], ["?", "these keys"],
];
