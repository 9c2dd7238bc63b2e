"""From tables to verdicts, and the check against the accepted results."""


rule judge:
    input:
        tables=tables_of_paper,
        claims=local("replications/{paper}/claims.yaml"),
    output:
        "results/{preset}/{paper}/claims.json",
    log:
        f"{LOG}/judge/{{paper}}.log",
    conda:
        "../../environment.yml"
    params:
        code=code("replications/claims.py", "replications/statistics.py"),
        results=results_folder,
    message:
        "Judge the claims of {wildcards.paper}"
    shell:
        "logged {log} python -m replications judge {wildcards.paper}"
        " --preset {wildcards.preset} --results {params.results}"


rule verdicts:
    input:
        claims_of_papers,
    output:
        json="results/{preset}/claims.json",
        md="results/{preset}/claims.md",
    log:
        f"{LOG}/verdicts.log",
    conda:
        "../../environment.yml"
    params:
        code=code("replications/claims.py"),
        papers=papers_of,
        results=results_folder,
    message:
        "Gather the verdicts"
    shell:
        "logged {log} python -m replications verdicts {params.papers}"
        " --preset {wildcards.preset} --results {params.results}"


rule check:
    input:
        runs=runs_of_paper,
        tables=tables_of_paper,
        claims="results/{preset}/{paper}/claims.json",
        baselines=baselines,
    output:
        report(
            "results/{preset}/{paper}/regression.txt",
            caption="../report/check.rst",
            category="{paper}",
            subcategory="Claims",
            labels={"table": "regression check"},
        ),
    log:
        f"{LOG}/check/{{paper}}.log",
    wildcard_constraints:
        preset="|".join(spec.PRESETS),
    conda:
        "../../environment.yml"
    params:
        code=code("replications/baselines.py", "tests/regression/check_baselines.py"),
        results=results_folder,
    message:
        "Check {wildcards.paper} against its accepted results"
    shell:
        "logged {log} python -m replications check {wildcards.paper}"
        " --preset {wildcards.preset} --results {params.results}"
