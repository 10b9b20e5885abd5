//! The configuration of provider processes (`config`): what an operator typed, however wrong.

use bolero::check;
use config::{File, Role, example};

use crate::{SLOW_ITERATIONS, recipe::Recipe};

#[test]
fn configuration() {
    let seeds = [Role::Serve, Role::ControlPlane, Role::Edge].map(example);
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let text = recipe.text(&seeds);
            let (file, problems) = File::read(&text);
            let lines = text.split('\n').count();
            for at in problems.iter().filter_map(|problem| problem.at) {
                assert!((1..=lines).contains(&at.line) && at.column >= 1, "{at}");
            }
            for role in [Role::Serve, Role::ControlPlane, Role::Edge] {
                for problem in role.problems(&file) {
                    assert!(!problem.message.is_empty());
                    assert!(problem.at.is_none_or(|at| at.line <= lines));
                }
            }
        });
}
