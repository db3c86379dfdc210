package firesteel.data

/** Groups of partitions that are fair samples of all rows, where groups by size alone are not. */
private[data] object FairGroups {

  /** The weights of a group's size relative to the distribution of its rows. The first weight that gives fair groups is
    * used.
    */
  private val SizeWeights = Seq(0.0, 1.0, 10.0)

  /** Returns groups of about the same size that are fair samples of all rows, if there are some.
    *
    * @param plan
    *   the columns of the statistics
    * @param statistics
    *   the statistics of each partition
    * @param locations
    *   the hosts of each partition
    * @param count
    *   the number of groups
    * @param evenness
    *   the maximum ratio of the largest group to the mean
    */
  def apply(
      plan: StatisticsPlan,
      statistics: Array[RowStatistics],
      locations: Array[Seq[String]],
      count: Int,
      evenness: Double
  ): Option[EvenGroups] = {
    val whole = statistics.reduce(_ + _)
    val distances = statistics.map(_.distance(whole))
    val rows = statistics.map(_.rows.toDouble)
    SizeWeights.iterator
      .flatMap(weight => balanced(rows, distances, count, evenness, weight))
      .find(groups => SampleDifference.worst(plan, merged(groups, statistics)).isEmpty)
      .map(groups => EvenGroups(groups, groups.map(host(_, locations))))
  }

  /** Returns the statistics of each group. */
  def merged(groups: Seq[Seq[Int]], statistics: Array[RowStatistics]): Seq[RowStatistics] =
    groups.filter(_.nonEmpty).map(_.map(statistics(_)).reduce(_ + _))

  /** Assigns the partitions, the largest and least typical first, each to the group with room whose balance it improves
    * most.
    */
  private def balanced(
      rows: Array[Double],
      distances: Array[Array[Double]],
      count: Int,
      evenness: Double,
      sizeWeight: Double
  ): Option[Seq[Seq[Int]]] = {
    val most = rows.sum / count * evenness
    val width = math.max(1, distances.head.length).toDouble
    val loads = new Array[Double](count)
    val sums = Array.fill(count)(new Array[Double](distances.head.length))
    val members = Array.fill(count)(Vector.empty[Int])
    val order = rows.indices.sortBy { partition =>
      -(rows(partition) + math.sqrt(dot(distances(partition), distances(partition)) / width))
    }
    val placed = order.forall { partition =>
      val roomy = (0 until count).filter(loads(_) + rows(partition) <= most)
      roomy
        .minByOption { group =>
          // The increase of the squares of the group's sums, without the part that is the same for all groups.
          dot(sums(group), distances(partition)) / width + sizeWeight * loads(group) * rows(
            partition
          )
        }
        .map { group =>
          loads(group) += rows(partition)
          members(group) :+= partition
          for (index <- sums(group).indices) sums(group)(index) += distances(partition)(index)
        }
        .isDefined
    }
    if (placed && loads.min > 0) Some(members.toSeq.map(_.sorted)) else None
  }

  private def dot(one: Array[Double], other: Array[Double]): Double = {
    var sum = 0.0
    var index = 0
    while (index < one.length) {
      sum += one(index) * other(index)
      index += 1
    }
    sum
  }

  /** Returns the host with most of the partitions. */
  private def host(members: Seq[Int], locations: Array[Seq[String]]): Option[String] =
    members
      .flatMap(locations(_))
      .groupMapReduce(identity)(_ => 1)(_ + _)
      .maxByOption { case (name, partitions) => (partitions, name) }
      .map(_._1)
}
