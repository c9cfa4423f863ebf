"""NL-MTP, which answers a policy."""


use rule train_gnn as train_nlmtp with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
        policy="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/policy.parquet",
    wildcard_constraints:
        model=plan.constrain_family("nlmtp"),
    priority: 2  # the longest first
    conda:
        "../../envs/torch.yaml"
