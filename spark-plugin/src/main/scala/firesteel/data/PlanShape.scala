package firesteel.data

import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression}
import org.apache.spark.sql.catalyst.plans.physical.RoundRobinPartitioning
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.{AdaptiveSparkPlanExec, QueryStageExec}
import org.apache.spark.sql.execution.columnar.{InMemoryTableScanExec, InMemoryTableScanLike}
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2ScanExecBase
import org.apache.spark.sql.execution.exchange.{REPARTITION_BY_NUM, ShuffleExchangeLike}

/** Properties of the partitions of an executed plan, known before it runs. */
private[data] object PlanShape {

  /** Returns true if the partitions are those of the user's own `repartition(tasks)`. */
  def isRepartitioned(plan: SparkPlan, tasks: Int): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isRepartitioned(adaptive.executedPlan, tasks)
    case WholeStageCodegenExec(child) => isRepartitioned(child, tasks)
    case InputAdapter(child) => isRepartitioned(child, tasks)
    case ProjectExec(list, child) if list.forall(isColumn) => isRepartitioned(child, tasks)
    case exchange: ShuffleExchangeLike =>
      isRoundRobin(exchange) && exchange.numPartitions == tasks
    case _ => false
  }

  /** Returns true if the user's own `repartition(number)` distributed the rows over the partitions. They may have been
    * cached and filtered since.
    */
  def isDealt(plan: SparkPlan): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isDealt(adaptive.executedPlan)
    case WholeStageCodegenExec(child) => isDealt(child)
    case InputAdapter(child) => isDealt(child)
    case transition: ColumnarToRowTransition => isDealt(transition.child)
    case ProjectExec(_, child) => isDealt(child)
    case FilterExec(_, child) => isDealt(child)
    case stage: QueryStageExec => isDealt(stage.plan)
    case scan: InMemoryTableScanExec => isDealt(scan.relation.cachedPlan)
    case exchange: ShuffleExchangeLike => isRoundRobin(exchange)
    case _ => false
  }

  /** Returns true if a plan reads its sources row by row, so that counting its rows is cheap. */
  def isScan(plan: SparkPlan): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isScan(adaptive.executedPlan)
    case WholeStageCodegenExec(child) => isScan(child)
    case InputAdapter(child) => isScan(child)
    case transition: ColumnarToRowTransition => isScan(transition.child)
    case ProjectExec(_, child) => isScan(child)
    case FilterExec(_, child) => isScan(child)
    case union: UnionExec => union.children.forall(isScan)
    case _: InMemoryTableScanLike | _: FileSourceScanLike | _: DataSourceV2ScanExecBase |
        _: LocalTableScanExec | _: RangeExec =>
      true
    case _ => false
  }

  /** Returns true if an expression only names a column. */
  def isColumn(expression: Expression): Boolean = expression.isInstanceOf[Attribute]

  /** Returns true if an exchange distributes rows in turn. A repartition by columns brings similar rows together. */
  private def isRoundRobin(exchange: ShuffleExchangeLike): Boolean =
    exchange.shuffleOrigin == REPARTITION_BY_NUM &&
      exchange.outputPartitioning.isInstanceOf[RoundRobinPartitioning]
}
