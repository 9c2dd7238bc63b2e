"""The preset paper as it was run once and accepted: its tables, and what guards them. No rule here trains."""


rule restore:
    input:
        kept_table,
    output:
        "results/accepted/{paper}/tables/{table}.csv",
    log:
        "results/accepted/logs/restore/{paper}/{table}.log",
    conda:
        "../../environment.yml"
    params:
        code=code("replications/accepted.py"),
        results=results_folder,
    message:
        "Restore {wildcards.paper}: {wildcards.table}, at full scale"
    shell:
        "logged {log} python -m replications restore {wildcards.paper} {wildcards.table}"
        " --results {params.results}"


rule fingerprint:
    output:
        "results/accepted/{paper}/fingerprints/{experiment}.csv",
    log:
        "results/accepted/logs/fingerprint/{paper}/{experiment}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        # Noise of CIFAR's size, and its copy in float32.
        mem_mb=3000,
    params:
        code=code("replications/fingerprints.py"),
        cells=digests_of_accepted,
        results=results_folder,
    message:
        "Take the fingerprints of {wildcards.paper}: {wildcards.experiment}, at full scale"
    shell:
        "NPROC=1 logged {log} python -m replications fingerprint {wildcards.paper} {wildcards.experiment}"
        " --results {params.results}"


rule check_accepted:
    input:
        fingerprints=fingerprints_of_paper,
        claims="results/accepted/{paper}/claims.json",
        baselines=accepted_baselines,
    output:
        report(
            "results/accepted/{paper}/regression.txt",
            caption="../report/check_accepted.rst",
            category="{paper}",
            subcategory="Claims",
            labels={"table": "regression check, full scale"},
        ),
    log:
        "results/accepted/logs/check/{paper}.log",
    conda:
        "../../environment.yml"
    params:
        code=code("replications/baselines.py", "tests/regression/check_baselines.py"),
        results=results_folder,
    message:
        "Check {wildcards.paper} against its accepted results at full scale"
    shell:
        "logged {log} python -m replications check {wildcards.paper}"
        " --preset accepted --results {params.results}"
