"""One archive that others can check and run: `snakemake artifact --cores all`. No part of the default target."""


rule artifact:
    input:
        of_all_papers(),
        STORE.times("html"),
    output:
        report=STORE.report(),
        archive=STORE.artifact(),
    log:
        f"{STORE.results}/artifact.log",
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.artifact"),
        results=STORE.results,
        config=[f"{key}={value}" for key, value in CONFIG.model_dump().items()],
    message:
        "Pack sources, accepted results, figures, claims and the report"
    shell:
        "logged {log} python -m snakemake --report {output.report} --nolock --config {params.config:q}"
        " && logged {log} python -m replications artifact --results {params.results} --output {output.archive}"
