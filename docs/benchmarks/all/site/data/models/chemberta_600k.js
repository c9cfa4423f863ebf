BOOM.give("models/chemberta_600k",{});
