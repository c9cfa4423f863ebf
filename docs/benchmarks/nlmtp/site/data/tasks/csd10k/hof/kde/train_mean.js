BOOM.give("tasks/csd10k/hof/kde/train_mean",{"seed":0,"y":"eNrtwTEBAAAIA6AIBjTXCpnMGjuABIACA0CDBaDBAdDgATSLwFc="});
