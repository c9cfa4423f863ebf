BOOM.give("models/physics_ridge",{});
