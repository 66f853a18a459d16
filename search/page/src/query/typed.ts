// What is typed into the field at the top: an expression, or a part of a picture's name.
import { text } from "../state/where";

const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;
const FUNCTION = /\b(exists|startswith|contains|within|near|field)\(/;
const NAME = String.raw`[\p{L}_][\p{L}\p{N}_.]*`;
/** A comparison that nobody would call a picture, whether or not there is such a field: its fault is shown where it is. */
const COMPARISON = new RegExp(`${NAME}\\s*([=!<>]=\\s*\\S|[<>]\\s*(-?\\d|"))`, "u");
/** The names beside an operator; that of a single = is a fault that is shown, too. */
const BESIDE = [new RegExp(`(${NAME})\\s*(?:[=!<>]|(?:not\\s+)?in\\s*[[(]|is\\s+(?:not\\s+)?null\\b)`, "gu"), new RegExp(`(?:[=<>]|"\\s*(?:not\\s+)?in)\\s*(${NAME})`, "gu")];

/** The filter that was meant: an expression as it is; all else is looked for in names, whatever it holds. */
export function asFilter(typed: string, fields: Readonly<Record<string, string>>): string {
  const words = typed.trim();
  return words === "" || isExpression(words, fields) ? words : `contains(_uri, ${text(inUri(words))})`;
}

/** What to show of a filter: the part of a name that was typed, or the expression. */
export function asTyped(where: string, fields: Readonly<Record<string, string>>): string {
  const found = /^contains\(_uri, (".*")\)$/s.exec(where);
  try {
    const words = decodeURIComponent(JSON.parse(found?.[1] ?? "") as string);
    return asFilter(words, fields) === where ? words : where;
  } catch {
    return where; // text that was not made here
  }
}

function isExpression(words: string, fields: Readonly<Record<string, string>>): boolean {
  const plain = words.replace(QUOTED, '""');
  const terms = plain.split(/[\s()]+/).filter((one) => one && !/^(and|or|not)$/.test(one));
  const truths = terms.length > 0 && terms.every((one) => Object.hasOwn(fields, one) && fields[one] === "bool");
  if (truths || FUNCTION.test(plain) || COMPARISON.test(plain)) return true;
  return BESIDE.some((pattern) => [...plain.matchAll(pattern)].some(([, name]) => name !== undefined && Object.hasOwn(fields, name)));
}

/** As URIs of pictures have it: these two would begin a query and a fragment. */
function inUri(words: string): string {
  return words.includes("://") ? encodeURI(words) : encodeURI(words).replaceAll("?", "%3F").replaceAll("#", "%23");
}
