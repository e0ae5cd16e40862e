from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/clips.smk"
include: "workflow/rules/gradients.smk"
include: "workflow/rules/supervoxels.smk"
include: "workflow/rules/explanations.smk"
include: "workflow/rules/insertion_deletion.smk"
include: "workflow/rules/localisation.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    localrule: True
    input:
        final_outputs(),
