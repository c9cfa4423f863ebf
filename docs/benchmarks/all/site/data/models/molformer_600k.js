BOOM.give("models/molformer_600k",{});
