// Days and months as text, `2024-05-31` and `2024-05`, in UTC as the service counts them.
const DAY = 86_400_000;
/** Dates are from the year 1 to the year 9999. */
export const FIRST_MONTH = "0001-01";
export const LAST_MONTH = "9999-12";

/** Whether it is a day; an address may say anything. */
export function isDay(value: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value));
}

/** The month of the first of them that has one. */
export function monthOf(...values: readonly string[]): string | null {
  return values.find((value) => isDay(value.slice(0, 10)))?.slice(0, 7) ?? null;
}

/** The day so many days later, or earlier. */
export function daysLater(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY).toISOString().slice(0, 10);
}

/** The month so many months later, or earlier. */
export function monthsLater(month: string, months: number): string {
  const date = new Date(`${month}-01`);
  date.setUTCMonth(date.getUTCMonth() + months);
  return date.toISOString().slice(0, 7);
}

/** The last day of a month. */
export function lastOf(month: string): string {
  const date = new Date(`${month}-01`);
  date.setUTCMonth(date.getUTCMonth() + 1, 0);
  return date.toISOString().slice(0, 10);
}

export function shownMonth(month: string): string {
  return new Date(`${month}-01`).toLocaleDateString(undefined, { month: "long", year: "numeric", timeZone: "UTC" });
}

export function shownDay(day: string): string {
  return new Date(day).toLocaleDateString(undefined, { dateStyle: "long", timeZone: "UTC" });
}

/** Monday is 1 and Sunday 7, as `Intl.Locale` counts them. */
export function firstOfWeek(): number {
  const locale = new Intl.Locale(navigator.language) as Intl.Locale & { weekInfo?: { firstDay: number }; getWeekInfo?: () => { firstDay: number } };
  return (locale.getWeekInfo?.() ?? locale.weekInfo)?.firstDay ?? 1;
}

/** The days of a month, in weeks: null before the first and behind the last. */
export function weeksOf(month: string, first: number): (string | null)[][] {
  const begin = `${month}-01`;
  const empty = (new Date(begin).getUTCDay() - first + 7) % 7;
  const count = Number(lastOf(month).slice(8));
  const days = Array.from({ length: Math.ceil((empty + count) / 7) * 7 }, (_, place) => (place >= empty && place < empty + count ? daysLater(begin, place - empty) : null));
  return Array.from({ length: days.length / 7 }, (_, week) => days.slice(week * 7, week * 7 + 7));
}
