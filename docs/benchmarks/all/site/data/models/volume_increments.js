BOOM.give("models/volume_increments",{});
