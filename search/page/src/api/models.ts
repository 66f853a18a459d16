// Names for the models of the service's OpenAPI.
import type { components } from "./schema";

type Models = components["schemas"];
export type About = Models["About"];
export type Cluster = Models["Cluster"];
export type Clusters = Models["Clusters"];
export type CollectionFacts = Models["CollectionFacts"];
export type Duplicate = Models["Duplicate"];
export type DuplicateGroup = Models["DuplicateGroup"];
export type Example = Models["Example"];
export type Facet = Models["Facet"];
export type FeatureHit = Models["FeatureHit"];
export type Folders = Models["Folders"];
export type Hit = Models["Hit"];
export type Histogram = Models["Histogram"];
export type MapFacts = Models["MapFacts"];
export type Picture = Models["Picture"];
export type PlaceCell = Models["PlaceCell"];
export type Problem = Models["Problem"];
export type Working = Models["ComparingFiles"];

/** A picture as a grid shows it: browsed, found by look, or by details. */
export type Shown = Picture & Partial<Pick<Hit, "score" | "probability" | "copies">> & Partial<Pick<FeatureHit, "verdict" | "inliers">>;
export type Job = Models["Job"];
export type JobQuery = Models["JobQuery"];
