// What is said at the foot of the page: notices, and whether the service is there.
import { online } from "../api/call";
import { hush, notices } from "../state/notices";

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {!online.value && <p class="notice is-lost">The service does not answer. This page goes on by itself when it is back.</p>}
      {notices.value.map((said, place) => (
        <p class="notice" key={place}>
          {said.text}
          {said.action && (
            <button
              type="button"
              onClick={() => {
                said.action?.act();
                hush(said);
              }}
            >
              {said.action.label}
            </button>
          )}
        </p>
      ))}
    </div>
  );
}
