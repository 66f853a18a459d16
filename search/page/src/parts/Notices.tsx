// What is said at the foot of the page: one notice, and whether the service is there.
import { online } from "../api/call";
import { hush, notice } from "../state/notices";

export function Notices() {
  const said = notice.value;
  return (
    <div class="notices" role="status" aria-live="polite">
      {!online.value && <p class="notice is-lost">The service does not answer. This page goes on by itself when it is back.</p>}
      {said && (
        <p class="notice">
          {said.text}
          {said.action && (
            <button
              type="button"
              onClick={() => {
                said.action?.act();
                hush();
              }}
            >
              {said.action.label}
            </button>
          )}
        </p>
      )}
    </div>
  );
}
