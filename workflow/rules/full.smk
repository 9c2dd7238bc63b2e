"""Accepted results of full scale, which no run computes again: what today's code does in its first updates."""


rule fingerprint:
    output:
        STORE.fingerprints("full", P, X),
    log:
        STORE.log("full", "fingerprint", P, X),
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        digests=digests_of_accepted,
        results=results_folder,
    message:
        "Take the fingerprints of {wildcards.paper}: {wildcards.experiment}, at full scale"
    shell:
        "NPROC=1 logged {log} python -m replications fingerprint {wildcards.paper} {wildcards.experiment}"
        " --results {params.results}"
