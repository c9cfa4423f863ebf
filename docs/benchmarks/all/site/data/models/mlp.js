BOOM.give("models/mlp",{});
