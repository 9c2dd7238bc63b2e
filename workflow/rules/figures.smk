"""From tables to pictures. No rule here computes: a new style redraws and reruns nothing."""


rule plot:
    input:
        tables=tables_of_figure,
        published=published_numbers,
    output:
        report(
            f"{FIGURE}.{FORMATS[0]}",
            caption="../report/figure.rst",
            category="{paper}",
            subcategory="Figures, {preset}",
            labels={"figure": "{figure}"},
        ),
        expand(f"{FIGURE}.{{suffix}}", suffix=FORMATS[1:], allow_missing=True),
    log:
        f"{LOG}/plot/{{paper}}/{{figure}}.log",
    conda:
        "../../environment.yml"
    params:
        code=code("figures/{paper}.py", "figures/style.py", "replications/plotting.py"),
        caption=caption,
        formats=FORMATS,
        results=results_folder,
    message:
        "Draw {wildcards.paper}: {wildcards.figure}"
    shell:
        "logged {log} python -m replications plot {wildcards.paper} {wildcards.figure} --preset {wildcards.preset}"
        " --results {params.results} --formats {params.formats}"
