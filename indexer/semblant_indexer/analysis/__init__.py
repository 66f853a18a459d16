"""What a collection looks like as a whole: its map, its clusters and what lies far from everything; on arrays and collections.

The functions on arrays (`fit_map`, `fit_clusters`, `outlier_scores`, …) know nothing of databases; `map_collection`,
`cluster_collection` and `score_outliers` read a collection's vectors and write what they find back into it, as payload fields
that filters and the page can use.
"""

from .cluster_edits import merge_clusters, rename_cluster, split_cluster
from .clusters import Clustering, assign, elbow, fit_clusters, fit_dense_clusters
from .collections import cluster_collection, map_collection, score_outliers
from .naming import ClusterName, name_clusters
from .neighbors import nearest_neighbors
from .outliers import outlier_scores
from .projection import fit_map, place
from .runs import CLUSTER_FIELDS, MAP_FIELDS, OUTLIER_FIELDS, AnalysisRun, read_run

__all__ = [
    "CLUSTER_FIELDS",
    "MAP_FIELDS",
    "OUTLIER_FIELDS",
    "AnalysisRun",
    "ClusterName",
    "Clustering",
    "assign",
    "cluster_collection",
    "elbow",
    "fit_clusters",
    "fit_dense_clusters",
    "fit_map",
    "map_collection",
    "merge_clusters",
    "name_clusters",
    "nearest_neighbors",
    "outlier_scores",
    "place",
    "read_run",
    "rename_cluster",
    "score_outliers",
    "split_cluster",
]
