BOOM.give("models/regression_transformer_600k",{});
