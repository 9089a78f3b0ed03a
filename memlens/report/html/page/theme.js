// Light, dark, or as the system says. The choice is kept for the session where that is possible.

import { html } from "./dom.js";

const THEMES = ["auto", "light", "dark"];
const THEME_KEY = "memlens-theme";

/** @type {(() => void)[]} */
const themeListeners = [];

/**
 * Call `action` whenever the colours change.
 * @param {() => void} action
 */
export function onThemeChange(action) {
  themeListeners.push(action);
}

function storedTheme() {
  try {
    return window.sessionStorage.getItem(THEME_KEY) ?? "auto";
  } catch {
    return "auto"; // storage is forbidden: the choice ends with the page
  }
}

/** @param {string} theme */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    window.sessionStorage.setItem(THEME_KEY, theme);
  } catch {
    // Storage is forbidden: the choice ends with the page.
  }
  notifyThemeListeners();
}

function notifyThemeListeners() {
  for (const action of themeListeners) action();
}

/** Return the switch, and apply the stored choice. */
export function themeSwitch() {
  const stored = storedTheme();
  const chosen = THEMES.includes(stored) ? stored : "auto";
  const inputs = THEMES.map((theme) => {
    const input = html("input", {
      type: "radio",
      name: "theme",
      value: theme,
      checked: theme === chosen,
    });
    input.addEventListener("change", () => setTheme(theme));
    const label = theme[0]?.toUpperCase() + theme.slice(1);
    return html("label", {}, input, html("span", {}, label));
  });
  document.documentElement.dataset.theme = chosen;
  window
    .matchMedia("(prefers-color-scheme: dark)")
    .addEventListener("change", notifyThemeListeners);
  window.matchMedia("print").addEventListener("change", notifyThemeListeners);
  return html(
    "fieldset",
    { class: "segments" },
    html("legend", { class: "unseen" }, "Theme"),
    ...inputs,
  );
}

/**
 * Return the present value of colours that the style sheet names.
 * @template {string} K
 * @param {Record<K, string>} names custom properties by key
 * @returns {Record<K, string>}
 */
export function themeColours(names) {
  const probe = html("span", { hidden: true });
  document.body.append(probe);
  const colours = /** @type {Record<K, string>} */ ({});
  for (const key of /** @type {K[]} */ (Object.keys(names))) {
    probe.style.color = `var(${names[key]})`;
    colours[key] = window.getComputedStyle(probe).color;
  }
  probe.remove();
  return colours;
}
