package firesteel.data

/** The largest difference between groups of rows that are not fair samples of all of them.
  *
  * @param excess
  *   the difference divided by the one that is allowed
  * @param text
  *   the description of the difference
  */
private[data] final case class SampleDifference(excess: Double, text: String)

/** The rule that decides if groups of rows are fair samples of all rows.
  *
  * A group is not a fair sample if the share of a class, or the mean of a number or of its square, differs from that of
  * all rows by more than both of these bounds: a quarter of the share (of the share of all other classes, if that is less)
  * or of a standard deviation; and the error of random samples.
  */
private[data] object SampleDifference {

  /** The difference that is always allowed, in shares and in standard deviations. */
  val Allowed = 0.25

  /** Returns the worst difference, if one of the groups is not a fair sample. */
  def worst(plan: StatisticsPlan, groups: Seq[RowStatistics]): Option[SampleDifference] = {
    val filled = groups.filter(_.rows > 0)
    if (filled.size < 2) None
    else {
      val whole = filled.reduce(_ + _)
      val compared = whole.classes.map(_.length).sum + whole.numbers.map(_.length).sum
      val chance = standardErrors(compared * filled.size)
      val found =
        plan.classes.indices.flatMap(column => shares(plan, column, filled, whole, chance)) ++
          whole.numbers.indices.flatMap(column => means(plan, column, filled, whole, chance))
      found.maxByOption(_.excess).filter(_.excess > 1)
    }
  }

  /** Returns the number of standard errors that bounds the differences of random samples, for this many comparisons. */
  private def standardErrors(differences: Int): Double =
    2 + math.sqrt(2 * math.log(differences.toDouble))

  private def shares(
      plan: StatisticsPlan,
      column: Int,
      groups: Seq[RowStatistics],
      whole: RowStatistics,
      chance: Double
  ): Seq[SampleDifference] = {
    val ClassColumn(name, _, marks) = plan.classes(column)
    val counts = whole.classes(column)
    val total = counts.sum.toDouble
    val rows = groups.map(_.classes(column)).filter(_.sum > 0)
    for {
      value <- counts.indices
      share = counts(value) / total
      if share > 0 && share < 1
    } yield {
      val found = rows.map(own => own(value).toDouble / own.sum)
      val excess = rows.zip(found).map { case (own, part) =>
        val error = math.sqrt(share * (1 - share) / own.sum)
        math.abs(part - share) / math.max(Allowed * math.min(share, 1 - share), chance * error)
      }
      val what =
        if (marks) s"the share of validation rows ('$name')"
        else s"the share of class $value of '$name'"
      SampleDifference(excess.max, s"$what would ${differ(found)} between tasks")
    }
  }

  private def means(
      plan: StatisticsPlan,
      column: Int,
      groups: Seq[RowStatistics],
      whole: RowStatistics,
      chance: Double
  ): Seq[SampleDifference] = {
    val NumberColumn(name, size) = (plan.labels ++ plan.features)(column)
    val moments = whole.numbers(column)
    for {
      index <- moments.indices
      all = moments(index)
      if all.deviation > 0
    } yield {
      val parts = groups.map(_.numbers(column)(index)).filter(_.weight > 0)
      val found = parts.map(part => (part.mean - all.mean) / all.deviation)
      val excess = parts.zip(found).map { case (part, distance) =>
        math.abs(distance) / math.max(Allowed, chance / math.sqrt(part.effective))
      }
      val squared = if (index < moments.length / 2) "mean" else "mean square"
      val what = if (size == 1) s"the $squared of '$name'" else s"the $squared of values of '$name'"
      SampleDifference(
        excess.max,
        s"$what would ${differ(found)} standard deviations between tasks"
      )
    }
  }

  private def differ(found: Seq[Double]): String = f"differ by ${found.max - found.min}%.2f"
}
