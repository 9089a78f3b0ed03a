// A card for each suspect: who holds what, by which path, which line allocates it, what to do.

import { html } from "./dom.js";
import { registerView, routeHash } from "./links.js";
import { fact, quantity, termText } from "./quantity.js";
import { adviceParts, whereAllocated } from "./sites.js";
import { explain } from "./tooltip.js";

/** @import { Hop, Suspect, Unit } from "./document" */

const OPEN_CARDS = 12;
const KIND_TEXTS = {
  root: "The root: the program can reach it by itself.",
  hop: "An object on the way.",
  holder: "The holder: the container in which the objects accumulate.",
  element: "What accumulates.",
};

/**
 * Return the section of all suspects.
 * @param {Suspect[]} suspects the largest first
 */
export function suspectsSection(suspects) {
  const cards = suspects.map((suspect, i) => suspectCard(suspect, i + 1));
  const shown = cards.slice(0, OPEN_CARDS);
  const more = cards.slice(OPEN_CARDS);
  const rest = more.length
    ? html(
        "details",
        { class: "more" },
        html("summary", {}, `${more.length} more suspects, all smaller`),
        ...more,
      )
    : null;
  for (const suspect of suspects) {
    registerView(`suspect-${suspect.id}`, () => {
      const card = document.getElementById(`suspect-${suspect.id}`);
      const outer = card?.closest("details");
      if (outer) outer.open = true;
    });
  }
  return html(
    "section",
    { id: "suspects", "aria-labelledby": "suspects-heading", tabindex: -1 },
    html(
      "h2",
      { id: "suspects-heading" },
      html(
        "a",
        { href: "#suspects", class: "anchor" },
        suspects.length === 1 ? "The suspect" : "Suspects",
      ),
    ),
    html(
      "p",
      { class: "help" },
      "What holds the memory that does not come back, the largest first.",
    ),
    ...shown,
    rest,
  );
}

/**
 * @param {Suspect} suspect
 * @param {number} number
 */
function suspectCard(suspect, number) {
  const id = `suspect-${suspect.id}`;
  return html(
    "article",
    { id, class: "card", "aria-labelledby": `${id}-name`, tabindex: -1 },
    html(
      "header",
      {},
      html("span", { class: "number", "aria-hidden": "true" }, number),
      html("h3", { id: `${id}-name` }, html("code", {}, suspect.holder)),
      badges(suspect),
    ),
    numbers(suspect),
    suspect.path.length ? pathChain(suspect.path) : null,
    suspect.advice
      ? html("div", { class: "todo" }, html("h4", {}, "What to do"), html("p", {}, ...adviceParts(suspect)))
      : null,
    whereAllocated(suspect),
    remarks(suspect),
  );
}

/** @param {Suspect} suspect */
function badges(suspect) {
  const list = [];
  if (suspect.status === "new") {
    list.push(
      explain(
        html("span", { class: "badge new" }, "new"),
        "Not in the baseline\nThe report that was given as the baseline does not have this suspect.",
      ),
    );
  }
  if (suspect.status === "known") {
    list.push(explain(html("span", { class: "badge" }, "known"), "In the baseline, too."));
  }
  if (suspect.pattern) {
    list.push(
      explain(
        html("span", { class: "badge" }, suspect.pattern),
        `Pattern\n${termText("pattern", "The kind of leak that the holder looks like.")}`,
      ),
    );
  }
  if (suspect.origin) {
    list.push(
      explain(
        html("span", { class: "badge quiet" }, `in ${suspect.origin}`),
        `Origin\n${termText("origin", "Whose code the holder belongs to.")}`,
      ),
    );
  }
  return html("div", { class: "badges" }, ...list);
}

/** @param {Suspect} suspect */
function numbers(suspect) {
  /** @type {HTMLElement[]} */
  const facts = [];
  /** @type {(label: string, value: number | null, unit: Unit, term: string, text: string) => void} */
  const add = (label, value, unit, term, text) => {
    if (value !== null && value !== undefined)
      facts.push(fact(label, quantity(value, unit, termText(term, text))));
  };
  add(
    "Grew by",
    suspect.growth_bytes,
    "change_bytes",
    "growth",
    "Memory that came to the holder and stayed, from the first snapshot to the last.",
  );
  if (suspect.bytes_per_hour !== null) {
    const rate = quantity(
      suspect.bytes_per_hour,
      "change_bytes",
      termText("rate", "The growth at the speed between the first snapshot and the last."),
    );
    facts.push(fact("Growth an hour", rate));
  }
  add(
    "Elements",
    suspect.growth_elements,
    "change_count",
    "elements",
    "Elements that came to the holder and stayed.",
  );
  add(
    "Retains",
    suspect.retained_bytes,
    "bytes",
    "retained",
    "Bytes that would become free if the holder were gone.",
  );
  for (const native of suspect.native) {
    facts.push(
      fact(
        "Native memory",
        explain(
          html("span", { class: "quantity" }, native.text),
          termText("native", "Memory that libraries took outside of Python's heap."),
        ),
      ),
    );
  }
  if (suspect.since)
    facts.push(
      fact("Since", html("span", { class: "words" }, suspect.since.replace(/^since /, ""))),
    );
  return html("dl", { class: "facts" }, ...facts);
}

/** @param {Hop[]} path */
function pathChain(path) {
  const hops = path.map((hop) => {
    const text = html("code", {}, hop.text);
    const type = hop.type ? `${hop.type}\n` : "";
    explain(text, `${hop.text}\n${type}${KIND_TEXTS[hop.kind] ?? ""}`);
    const note = hop.kind === "holder" ? html("small", {}, hop.type ?? "holder") : null;
    const meaning = hop.suspect ? html("span", { class: "unseen" }, " (suspect)") : null;
    return html(
      "li",
      { class: `${hop.kind}${hop.suspect ? " suspect" : ""}` },
      text,
      note,
      meaning,
    );
  });
  return html(
    "div",
    { class: "held" },
    html("h4", {}, "Held by"),
    html("ol", { class: "path" }, ...hops),
  );
}

/** @param {Suspect} suspect */
function remarks(suspect) {
  const gains = suspect.gains.length
    ? html(
        "p",
        {},
        html("b", {}, "Gains "),
        ...joined(suspect.gains.map((type) => html("code", {}, type))),
      )
    : null;
  const link = html(
    "a",
    { href: routeHash(`suspect-${suspect.id}`) },
    html("code", {}, suspect.id),
  );
  explain(
    link,
    `Fingerprint\n${termText("fingerprint", "The same leak has the same fingerprint in every report. This is its link.")}`,
  );
  return html(
    "footer",
    {},
    suspect.evidence ? html("p", {}, html("b", {}, "Evidence "), suspect.evidence) : null,
    gains,
    html("p", {}, html("b", {}, "Fingerprint "), link),
  );
}

/** @param {Node[]} nodes */
function joined(nodes) {
  return nodes.flatMap((node, i) => (i ? [", ", node] : [node]));
}
