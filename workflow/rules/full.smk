"""Accepted results of full scale, which no run computes again: what today's code does in its first updates."""


rule fingerprint:
    output:
        directory(STORE.all_fingerprints("full", P)),
    log:
        STORE.log("full", "fingerprint", P),
    benchmark:
        STORE.benchmark("full", "fingerprint", P)
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        digests=digests_of_accepted,
        results=results_folder,
    message:
        "Take the fingerprints of {wildcards.paper} at full scale, whose code is another than the accepted"
    shell:
        "NPROC=1 logged {log} python -m replications fingerprint {wildcards.paper} --results {params.results}"
