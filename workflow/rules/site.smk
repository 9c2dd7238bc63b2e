"""The documentation as a site, its notebooks run: `snakemake site --cores 1`. No part of the default target."""


rule site:
    input:
        sources("*.md"),
        sources("CITATION.cff"),
        sources("bioflax/**/*.py"),
        sources("replications/*/*.md"),
        sources("replications/*/*.png"),
        sources("replications/*/*.yaml"),
        sources("workflow/site/**/*"),
    output:
        html=directory("results/site"),
        build=temp(directory("results/site.build")),
    log:
        "results/site.log",
    conda:
        "../site/environment.yml"
    threads: 1
    params:
        code=code("workflow/site/conf.py", "workflow/site/colab.py"),
    message:
        "Build the documentation"
    shell:
        "NPROC=1 logged {log} python -m sphinx -W --keep-going -n -d {output.build}/doctrees"
        " workflow/site {output.build}/html && mkdir -p {output.html}"
        " && cp -R {output.build}/html/. {output.html}"
