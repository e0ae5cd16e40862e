from snakemake.utils import min_version

min_version("9.0")


# Another --configfile stands in for the demo; several are merged in their order, and --config goes on top of either.
if not workflow.config_settings.configfiles:

    configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/clips.smk"
include: "workflow/rules/gradients.smk"
include: "workflow/rules/supervoxels.smk"
include: "workflow/rules/explanations.smk"
include: "workflow/rules/insertion_deletion.smk"
include: "workflow/rules/localisation.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/summaries.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        lambda w: outputs.final(),
    localrule: True
