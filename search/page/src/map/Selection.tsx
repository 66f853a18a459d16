// The pictures that are found or chosen, beside the map.
import { Thumbnail } from "../grid/Thumbnail";
import { Icon } from "../parts/Icon";
import { go, searching, state } from "../state/address";
import { fileName, plural, score } from "../state/names";
import { loading, results } from "../state/results";
import { total } from "../state/service";

interface Props {
  /** Pictures that are shown strongly; null while that is not known. */
  count: number | null;
  onAll: () => void;
  onFly: () => void;
  onHover: (id: string) => void;
}

const MOST = 60;

export function Selection({ count, onAll, onFly, onHover }: Props) {
  const pictures = results.value.slice(0, MOST);
  const asked = searching.value;
  return (
    <aside class="map-selection" aria-label={asked ? "What was found" : "What is chosen"}>
      <header>
        <p role="status">
          {asked ? `The ${plural(results.value.length, "best hit")}` : count === null ? "…" : `${plural(count, "picture")}`}
          {!asked && count !== null && total.value !== null && <span class="hint"> of {total.value.toLocaleString()}</span>}
        </p>
        <button type="button" class="icon-button" aria-label={asked ? "End the search" : "Choose all again"} title={asked ? "End the search" : "Choose all again"} onClick={() => (asked ? go({ like: [], unlike: [], region: [], by: "look", diversity: 0 }) : onAll())}>
          <Icon name="close" />
        </button>
      </header>
      <div class="map-selection-acts">
        <button type="button" onClick={() => go({ view: "pictures" })}>
          As a grid
        </button>
        <button type="button" onClick={onFly}>
          Go there
        </button>
      </div>
      <ul class={loading.value ? "is-loading" : ""} tabIndex={0} aria-label="Pictures">
        {pictures.map((one) => (
          <li key={one.id} onMouseEnter={() => onHover(one.id)} onMouseLeave={() => onHover("")}>
            <button type="button" aria-label={`Open ${fileName(one.uri)}`} onClick={() => go({ ...state.peek(), open: one.id })}>
              <Thumbnail picture={one} size={128} alt="" />
              {asked && <span class="tile-score">{score(one)}</span>}
            </button>
          </li>
        ))}
      </ul>
    </aside>
  );
}
