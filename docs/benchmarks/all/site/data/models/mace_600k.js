BOOM.give("models/mace_600k",{});
