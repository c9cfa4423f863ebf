BOOM.give("models/equivariant_transformer_600k",{});
