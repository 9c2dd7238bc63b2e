"""What only the report page needs: verdicts and tables laid out, and the picture of the rules."""


rule summary_page:
    input:
        tables_of_paper,
    output:
        report(
            "results/{preset}/{paper}/tables/summary.html",
            caption="../report/summary.rst",
            category="{paper}",
            subcategory="Tables, {preset}",
            labels={"table": "every experiment, at the end of training"},
        ),
    log:
        f"{LOG}/summary_page/{{paper}}.log",
    conda:
        "../../environment.yml"
    params:
        code=code("workflow/scripts/summary.py", "workflow/scripts/page.py"),
    message:
        "Summarize the tables of {wildcards.paper}"
    shell:
        "logged {log} python -m workflow.scripts.summary {input} {output}"


rule verdicts_page:
    input:
        "results/{preset}/claims.md",
    output:
        report(
            "results/{preset}/claims.html",
            caption="../report/verdicts.rst",
            category="Verdicts",
            labels={"table": "claims of all papers, {preset}"},
        ),
    log:
        f"{LOG}/verdicts_page.log",
    conda:
        "../../environment.yml"
    params:
        code=code("workflow/scripts/page.py"),
    message:
        "Lay out the verdicts"
    shell:
        "logged {log} python -m workflow.scripts.page Verdicts {input} {output}"


rule rulegraph:
    input:
        sources("Snakefile"),
        sources("workflow/rules/*.smk"),
    output:
        report(
            "results/{preset}/rulegraph.svg",
            caption="../report/rulegraph.rst",
            category="Rules",
            labels={"figure": "rules"},
        ),
    log:
        f"{LOG}/rulegraph.log",
    conda:
        "../../environment.yml"
    params:
        code=code("workflow/scripts/rulegraph.py"),
        # Other papers and presets have the same rules.
        config=f"preset={PRESET}",
    message:
        "Draw the rule graph"
    shell:
        "logged {log} python -m workflow.scripts.rulegraph {output} --config {params.config}"
