// Why a picture was found: both side by side, with lines between the details that agree, and where the query lies in the hit.
import { post, postForm } from "../api/call";
import type { FeatureHit, Shown } from "../api/models";
import { useAsked } from "../parts/asked";
import { useDrawable } from "../parts/pictures";
import { state } from "../state/address";
import { likeness } from "../state/names";
import { collection } from "../state/service";
import { isUpload, upload } from "../state/uploads";
import { text } from "../state/where";

const MOST_LINES = 120;
const GAP = 24;
const HEIGHT = 600;

export function Proof({ hit }: { hit: Shown }) {
  const { like, region } = state.value;
  const example = like[0] ?? "";
  const query = useDrawable(example, 1024);
  const found = useDrawable(hit.id, 1024);
  const asked = useAsked(JSON.stringify([example, region, hit.id, collection.value]), async (signal) => {
    const question = { collection: collection.peek(), where: `_uri == ${text(hit.uri)}`, limit: 1, min_confidence: 0, pairs: true, include_self: true, shared_parts: true, ...(region.length ? { region: [...region] } : {}) };
    if (!isUpload(example)) return post("/v1/search/features", { ...question, id: example }, signal);
    const picture = await upload(example);
    return picture ? postForm("/v1/search/features", [picture], question, signal) : { hits: [] };
  });
  if (query instanceof Error || found instanceof Error) return <p class="empty">The pictures cannot be shown beside each other.</p>;
  if (!query || !found || (!asked.value.answer && !asked.value.error)) return <p class="empty">Comparing details…</p>;
  const proof = asked.value.answer?.hits[0];
  const agree = proof?.pairs?.length ?? 0;
  const [one, other] = [scaled(query), scaled(found)];
  const width = one.width + GAP + other.width;
  return (
    <figure class="proof">
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={`${agree} details agree`}>
        <image href={query.url} x={0} y={0} width={one.width} height={HEIGHT} preserveAspectRatio="none" />
        <image href={found.url} x={one.width + GAP} y={0} width={other.width} height={HEIGHT} preserveAspectRatio="none" />
        {proof && <Lines proof={proof} from={one.scale} to={other.scale} offset={one.width + GAP} />}
      </svg>
      <figcaption>{asked.value.error || said(proof, hit)}</figcaption>
    </figure>
  );
}

function Lines({ proof, from, to, offset }: { proof: FeatureHit; from: number; to: number; offset: number }) {
  const pairs = proof.pairs ?? [];
  const every = Math.max(1, Math.ceil(pairs.length / MOST_LINES));
  const outline = proof.verdict === "shared part" ? proof.part_in_hit : proof.polygon;
  return (
    <g class="proof-lines">
      {outline && proof.verdict !== "none" && <polygon points={outline.map(([x = 0, y = 0]) => `${offset + x * to},${y * to}`).join(" ")} />}
      {pairs
        .filter((_, place) => place % every === 0)
        .map(([x = 0, y = 0, u = 0, v = 0], place) => (
          <g key={place}>
            <line x1={x * from} y1={y * from} x2={offset + u * to} y2={v * to} />
            <circle cx={x * from} cy={y * from} r={4} />
            <circle cx={offset + u * to} cy={v * to} r={4} />
          </g>
        ))}
    </g>
  );
}

function scaled({ width, height }: { width: number; height: number }) {
  const scale = HEIGHT / Math.max(height, 1);
  return { scale, width: Math.max(width, 1) * scale };
}

function said(proof: FeatureHit | undefined, hit: Shown): string {
  const look = hit.verdict ? "" : ` By look: ${likeness(hit).toLowerCase() || "score"} ${hit.score?.toFixed(2) ?? ""}.`;
  if (!proof || proof.verdict === "none" || !proof.pairs?.length) return `No details of the two agree: they are alike in look only.${look}`;
  const sure = `${(proof.probability * 100).toFixed(proof.probability > 0.99 ? 2 : 0)} % sure that it is no chance`;
  return `${likeness({ ...hit, verdict: proof.verdict })}: ${proof.pairs.length} details agree${proof.mirrored ? ", mirrored" : ""}, ${sure}.${look}`;
}
