BOOM.give("models/modernbert_600k",{});
