"""What is measured against whom; each module is one command, its table is in results/."""
