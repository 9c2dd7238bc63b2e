"""The documentation as a site, its tutorial run: `snakemake docs --cores 1`. No part of the default target."""


rule docs:
    input:
        sources("*.md"),
        sources("bioflax/**/*.py"),
        sources("bioflax/*.md"),
        sources("replications/*/README.md"),
        sources("replications/*/*.png"),
        sources("replications/*/experiments.yaml"),
        sources("workflow/docs/*"),
    output:
        directory("results/docs"),
    log:
        "results/docs.log",
    conda:
        "../../environment.yml"
    threads: 1
    params:
        code=code("workflow/scripts/docs.py"),
    message:
        "Build the documentation"
    shell:
        "NPROC=1 logged {log} python -m workflow.scripts.docs {output}"
