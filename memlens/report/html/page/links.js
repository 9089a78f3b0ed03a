// Every view has a link: "#view" or "#view?key=value". Back and forward work.

/** @typedef {Record<string, string | number | null>} RouteValues */

/** @type {Map<string, (params: URLSearchParams) => void>} */
const routeHandlers = new Map();
let currentView = "";

/**
 * Return the view and the parameters of a hash.
 * @param {string} hash
 */
export function parseRoute(hash) {
  const text = hash.replace(/^#/, "");
  const mark = text.indexOf("?");
  const view = mark < 0 ? text : text.slice(0, mark);
  return { view: decoded(view), params: new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1)) };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % in a link that somebody typed
  }
}

/**
 * Return the hash of a view. Values that are null or empty are left out.
 * @param {string} view
 * @param {RouteValues} [values]
 */
export function routeHash(view, values = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== "") params.set(key, String(value));
  }
  const query = params.toString();
  return `#${encodeURIComponent(view)}${query ? `?${query}` : ""}`;
}

/**
 * Call `handler` with the parameters of each link to the view, and with none when it is left.
 * @param {string} view
 * @param {(params: URLSearchParams) => void} handler
 */
export function registerView(view, handler) {
  routeHandlers.set(view, handler);
}

/**
 * Put the state of a view into the address, without calling its handler.
 * @param {string} view
 * @param {RouteValues} values
 * @param {boolean} [isStep] true if "back" should return to the state before
 */
export function recordRoute(view, values, isStep = true) {
  const hash = routeHash(view, values);
  currentView = view;
  if (hash === window.location.hash) return;
  try {
    if (isStep) window.history.pushState(null, "", hash);
    else window.history.replaceState(null, "", hash);
  } catch {
    // A document without an address of its own, such as an iframe of a notebook, has no history.
  }
}

/** @param {boolean} isFirst */
function followRoute(isFirst) {
  const { view, params } = parseRoute(window.location.hash);
  if (currentView && currentView !== view) {
    routeHandlers.get(currentView)?.(new URLSearchParams());
  }
  currentView = view;
  routeHandlers.get(view)?.(params);
  const target = view ? document.getElementById(view) : null;
  if (!target) return;
  const place = target.getBoundingClientRect();
  const isVisible = place.top >= 0 && place.top < window.innerHeight * 0.7;
  if (isFirst || !isVisible) target.scrollIntoView({ block: "start" });
}

/** Open the view that the address names, now and whenever the address changes. */
export function startRouting() {
  window.addEventListener("popstate", () => followRoute(false));
  window.addEventListener("hashchange", () => followRoute(false));
  followRoute(true);
}
