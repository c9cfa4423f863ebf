"""NL-MTP, which answers a policy."""


use rule train_tabular as train_nlmtp with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
        policy="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/policy.parquet",
    wildcard_constraints:
        model=plan.constrain_family("nlmtp"),
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
