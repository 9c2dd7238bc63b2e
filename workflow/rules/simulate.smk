"""From data sets and specs to numbers, a file a cell; one table per experiment, and of its features."""


rule dataset:
    output:
        npz=STORE.dataset("{dataset}"),
        sha256=f"{STORE.dataset('{dataset}')}.sha256",
    log:
        "results/datasets/logs/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        content=content,
    message:
        "Prepare the data set {wildcards.dataset}"
    shell:
        "logged {log} python -m replications dataset {wildcards.dataset} --output {output.npz}"


# A process costs as much as a small cell: quick's cells of an experiment share one.
rule experiment:
    input:
        datasets_of_experiment,
    output:
        directory(STORE.runs("{preset}", P, X)),
    log:
        STORE.log("{preset}", "experiment", P, X),
    benchmark:
        STORE.benchmark("{preset}", "experiment", P, X)
    wildcard_constraints:
        preset="quick",
    conda:
        "../../environment.yml"
    # One thread and NPROC=1, always: the bits of a result depend on the size of JAX's thread pool.
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        spec=specs_of_experiment,
        source=sources_of_experiment,
        results=results_folder,
        batching=batching,
    message:
        "Simulate {wildcards.paper}: {wildcards.experiment}"
    shell:
        "NPROC=1 logged {log} python -m replications simulate {wildcards.paper} {wildcards.experiment}"
        " --preset {wildcards.preset} --results {params.results} --batching {params.batching}"


# At full scale a cell takes hours.
rule simulate:
    input:
        dataset_of,
    output:
        RUN,
    log:
        STORE.log("{preset}", "simulate", P, X, A),
    benchmark:
        STORE.benchmark("{preset}", "simulate", P, X, A)
    wildcard_constraints:
        preset="full",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=24 * 60,
    params:
        spec=spec_digest,
        source=source_digest,
        results=results_folder,
        batching=batching,
    message:
        "Simulate {wildcards.paper}: {wildcards.experiment}, {wildcards.arm}"
    shell:
        "NPROC=1 logged {log} python -m replications simulate {wildcards.paper} {wildcards.experiment} {wildcards.arm}"
        " --preset {wildcards.preset} --results {params.results} --batching {params.batching}"


rule tabulate:
    input:
        runs_of_experiment,
    output:
        STORE.table("{preset}", P, X),
    log:
        STORE.log("{preset}", "tabulate", P, X),
    benchmark:
        STORE.benchmark("{preset}", "tabulate", P, X)
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.judging.tabulate"),
        results=results_folder,
    message:
        "Tabulate {wildcards.paper}: {wildcards.experiment}"
    shell:
        "logged {log} python -m replications tabulate {wildcards.paper} {wildcards.experiment}"
        " --preset {wildcards.preset} --results {params.results}"


rule embed:
    input:
        runs_of_experiment,
        datasets_of_experiment,
    output:
        STORE.table("{preset}", P, f"{X}.embedding"),
    log:
        STORE.log("{preset}", "embed", P, X),
    benchmark:
        STORE.benchmark("{preset}", "embed", P, X)
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.judging.embedding"),
        results=results_folder,
    message:
        "Embed the features of {wildcards.paper}: {wildcards.experiment}"
    shell:
        "logged {log} python -m replications embed {wildcards.paper} {wildcards.experiment}"
        " --preset {wildcards.preset} --results {params.results}"


rule arrays:
    input:
        runs_of_experiment,
    output:
        STORE.table("{preset}", P, f"{X}.arrays"),
    log:
        STORE.log("{preset}", "arrays", P, X),
    benchmark:
        STORE.benchmark("{preset}", "arrays", P, X)
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.judging.arrays"),
        results=results_folder,
    message:
        "Tabulate the arrays of {wildcards.paper}: {wildcards.experiment}"
    shell:
        "logged {log} python -m replications arrays {wildcards.paper} {wildcards.experiment}"
        " --preset {wildcards.preset} --results {params.results}"
