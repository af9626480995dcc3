//! Breadth-first search of everything that can happen: the first broken property is found on a shortest way.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::fate::Fate;
use crate::properties::NOBODY_IS_STUCK;
use crate::protocol::{Model, Step};
use crate::world::World;

/// A broken property and the steps that lead there. Processes are told apart within a step only: worlds are mirrored.
pub struct Counterexample {
    pub property: &'static str,
    pub trace: Vec<String>,
}

/// What was searched, and found.
pub struct Search {
    pub states: usize,
    pub transitions: usize,
    pub depth: u32,
    /// States with nothing under way.
    pub rest: usize,
    /// … in which the platform accepts no token that the hub has.
    pub lost: usize,
    /// States that would need more attempts than there is room for.
    pub beyond: usize,
    pub took: Duration,
    pub broken: Option<Counterexample>,
}

struct Node {
    world: World,
    from: u32,
    step: Step,
    depth: u32,
}

/// Every world that was reached, in the order of reaching.
#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    index: HashMap<u64, u32, BuildHasherDefault<Fold>>,
    /// Steps of the protocol, backwards: to, from.
    edges: Vec<(u32, u32)>,
}

impl Graph {
    /// The number of a world, and whether it is new.
    fn reach(&mut self, world: World, from: u32, step: Step) -> (u32, bool) {
        let mut hasher = Fold::default();
        world.hash(&mut hasher);
        let number = u32::try_from(self.nodes.len()).unwrap();
        let found = *self.index.entry(hasher.finish()).or_insert(number);
        if found == number {
            let depth = self.nodes.get(from as usize).map_or(0, |node| node.depth + 1);
            self.nodes.push(Node {
                world,
                from,
                step,
                depth,
            });
        } else {
            // A search that takes two worlds for one would prove nothing.
            assert!(self.nodes[found as usize].world == world, "two worlds have one hash");
        }
        (found, found == number)
    }

    fn trace(&self, mut at: u32) -> Vec<String> {
        let mut trace = Vec::new();
        while at != 0 {
            let Node { step, from, .. } = self.nodes[at as usize];
            trace.push(format!("{} [{}]", step.what, step.at));
            at = from;
        }
        trace.reverse();
        trace
    }

    /// A world from which the protocol alone does not come to rest.
    fn stuck(&self, model: &Model) -> Option<u32> {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        for &(to, from) in &self.edges {
            before[to as usize].push(from);
        }
        let rests = |node: &Node| model.is_at_rest(&node.world) || node.world.beyond;
        let mut rest: Vec<bool> = self.nodes.iter().map(rests).collect();
        let mut open: Vec<usize> = (0..rest.len()).filter(|&at| rest[at]).collect();
        while let Some(at) = open.pop() {
            for &from in &before[at] {
                if !rest[from as usize] {
                    rest[from as usize] = true;
                    open.push(from as usize);
                }
            }
        }
        rest.iter()
            .position(|rests| !rests)
            .map(|at| u32::try_from(at).unwrap())
    }
}

/// Searches all that can happen in `fate`, and stops at the first broken property.
pub fn search(model: &Model, fate: Fate) -> Search {
    let began = Instant::now();
    let mut graph = Graph::default();
    graph.reach(
        World::new(fate),
        0,
        Step {
            what: "begin",
            at: 0,
            fate: false,
        },
    );
    let (mut transitions, mut at, mut broken, mut next) = (0, 0, None, Vec::new());
    'search: while (at as usize) < graph.nodes.len() {
        if !graph.nodes[at as usize].world.beyond {
            model.steps(&graph.nodes[at as usize].world, &mut next);
        }
        for (step, world) in next.drain(..) {
            transitions += 1;
            let (to, new) = graph.reach(world, at, step);
            if !step.fate {
                graph.edges.push((to, at));
            }
            if let Some(property) = new.then(|| model.broken(&graph.nodes[to as usize].world)).flatten() {
                broken = Some(Counterexample {
                    property,
                    trace: graph.trace(to),
                });
                break 'search;
            }
        }
        at += 1;
    }
    let broken = broken.or_else(|| {
        graph.stuck(model).map(|at| Counterexample {
            property: NOBODY_IS_STUCK,
            trace: graph.trace(at),
        })
    });
    let count = |is: &dyn Fn(&World) -> bool| graph.nodes.iter().filter(|node| is(&node.world)).count();
    Search {
        states: graph.nodes.len(),
        transitions,
        depth: graph.nodes.iter().map(|node| node.depth).max().unwrap_or(0),
        rest: count(&|world| model.is_at_rest(world)),
        lost: count(&|world| model.is_lost(world)),
        beyond: count(&|world| world.beyond),
        took: began.elapsed(),
        broken,
    }
}

/// Small values, many of them: one multiplication each. Its collisions are noticed.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.unsigned_abs() as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
        self.0 ^= self.0 >> 29;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
