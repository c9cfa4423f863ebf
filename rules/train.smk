"""Task -> predictions. A family of models is a file of train/ with one named rule, so that a profile can give it resources.

Needs: results/tasks/{dataset}/{property}/{scheme}.parquet, the feature tables that the model reads, the checkpoint
that it starts from, and of a committee the predictions of its members.
Offers: results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet; beside it, in the folder
seed{seed}/, run.json and what the model leaves (history, its state while it trains, the model itself if it is kept); of a model whose
test error is followed over its epochs also epochs.parquet, of one that evaluates a policy policy.parquet.
"""


include: "train/tabular.smk"
include: "train/gnn.smk"


for family in list_families():
    if family not in ("tabular", "gnn"):

        include: f"train/{family}.smk"
