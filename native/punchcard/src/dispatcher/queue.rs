//! The order in which waiting jobs start.
//!
//! The user with the fewest running jobs is next, and of several the one whose oldest waiting job is older. Within a
//! user, jobs start in the order of acceptance.

use std::collections::HashMap;

use crate::clock::Millis;
use crate::config::Quotas;
use crate::job::State;
use crate::store::Job;

/// Returns the job to start now, if any may start.
pub(super) fn next<'a>(
    unfinished: &'a [Job],
    quotas: &dyn Fn(&str) -> Quotas,
    capacity: &dyn Fn(&str) -> u32,
    now: Millis,
) -> Option<&'a Job> {
    let mut by_user: HashMap<&str, u32> = HashMap::new();
    let mut by_token: HashMap<&str, u32> = HashMap::new();
    let mut by_cluster: HashMap<&str, u32> = HashMap::new();
    for job in unfinished.iter().filter(|job| job.state.is_active()) {
        *by_user.entry(&job.user).or_default() += 1;
        *by_token.entry(&job.token).or_default() += 1;
        *by_cluster.entry(&job.cluster).or_default() += 1;
    }
    let count = |map: &HashMap<&str, u32>, key: &str| map.get(key).copied().unwrap_or(0);
    let may_start = |job: &&Job| {
        let quotas = quotas(&job.user);
        job.state == State::Queued
            && !job.cancel_requested
            && job.not_before.is_none_or(|time| time <= now)
            && count(&by_user, &job.user) < quotas.running
            && count(&by_token, &job.token) < quotas.running_per_token
            && count(&by_cluster, &job.cluster) < capacity(&job.cluster)
    };
    unfinished.iter().filter(may_start).min_by_key(|job| (count(&by_user, &job.user), job.seq))
}

/// Returns the places of waiting jobs in the queue, from 1, by id: the order in which they would start if no running job
/// ended and neither quotas, the limits of clusters nor the waits after failed attempts held any of them back.
#[must_use]
pub fn positions(unfinished: &[Job]) -> HashMap<String, u32> {
    let mut running: HashMap<&str, u32> = HashMap::new();
    for job in unfinished.iter().filter(|job| job.state.is_active()) {
        *running.entry(&job.user).or_default() += 1;
    }
    // The n-th waiting job of a user starts when the user has n - 1 jobs more.
    let mut order: Vec<(u32, i64, &Job)> = Vec::new();
    for job in unfinished.iter().filter(|job| !job.state.is_active()) {
        let count = running.entry(&job.user).or_default();
        order.push((*count, job.seq, job));
        *count += 1;
    }
    order.sort_by_key(|(count, seq, _)| (*count, *seq));
    (1..).zip(order).map(|(place, (_, _, job))| (job.id.clone(), place)).collect()
}
