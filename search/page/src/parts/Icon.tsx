// Icons as lines of a 24 × 24 drawing.
const PATHS = {
  check: "M5 12.5 10 17.5 19 7",
  similar: "M4 4h10v10H4z M10 10h10v10H10z",
  close: "M6 6 18 18 M18 6 6 18",
  left: "M15 5 8 12 15 19",
  right: "M9 5 16 12 9 19",
  filter: "M4 7h16 M7 12h10 M10 17h4",
  upload: "M12 16V5 M7 10 12 5 17 10 M5 19h14",
  camera: "M4 8h3l2-3h6l2 3h3v11H4z M12 17a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  folder: "M3 6h6l2 2h10v11H3z",
  plus: "M12 5v14 M5 12h14",
  minus: "M5 12h14",
  trash: "M5 7h14 M9 7V4h6v3 M7 7l1 13h8l1-13",
  tag: "M4 4h8l8 8-8 8-8-8z M8.5 8.5h.01",
  save: "M12 4v11 M7 11 12 16 17 11 M5 20h14",
  help: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2 M12 17.5h.01",
  lines: "M4 6h6v12H4z M14 6h6v12h-6z M8 10 16 9 M8 14 16 15",
  info: "M12 11v6 M12 7.5h.01 M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  crop: "M7 3v14h14 M3 7h14v14",
  move: "M12 3v18 M3 12h18 M12 3 9 6 M12 3l3 3 M12 21l-3-3 M12 21l3-3 M3 12l3-3 M3 12l3 3 M21 12l-3-3 M21 12l-3 3",
  rectangle: "M4 6h16v12H4z",
  lasso: "M12 15c5 0 9-2.500 9-5.500S17 4 12 4 3 6.500 3 9.500c0 2 1.800 3.700 4.500 4.700 M7 13.500c1.800 0 2.500 1 2.500 2.200C9.500 18 6 18 5 21",
  whole: "M4 9V4h5 M15 4h5v5 M20 15v5h-5 M9 20H4v-5",
  picture: "M4 5h16v14H4z M4 16l5-5 4 4 3-3 4 4",
  missing: "M8 5h12v12 M4 5v14h14 M3 3 21 21",
  pencil: "M4 20l1-4L16 5l3 3L8 19z",
  retry: "M5 12a7 7 0 1 1 2 5 M5 18v-4h4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
